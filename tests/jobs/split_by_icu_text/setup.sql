create table words (word text collate "und-x-icu", n int);
insert into words select chr(97 + n % 26) || chr(192 + n % 200) || n, n from generate_series(1, 2000) n;
insert into words values (null, 0), ('', -1), ('Z', -2), ('z', -3), ('數據', -4);
create table copy (like words);
