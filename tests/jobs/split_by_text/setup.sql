create table words (word text, n int);
insert into words select md5(n::text), n from generate_series(1, 2000) n;
insert into words values (null, 0), ('', -1), ('ünï', -2), ('數據', -3), ('Zz', -4);
create table copy (like words);
