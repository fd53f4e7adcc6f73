create table sales (id int, day date);
insert into sales select n, date '2025-10-25' + n from generate_series(1, 10) n;
