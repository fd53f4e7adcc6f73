create table orders (id bigint primary key, code text, name text, amount numeric(15,2), day date, at timestamp, paid boolean);
insert into orders values (2, 'old', 'old', 1, '2000-01-01', '2000-01-01', true), (9, 'stays', 'stays', 9, '2000-01-01', '2000-01-01', false);
