select count(*), count(distinct id), sum(price), min(seen), max(made), sum(length(data)), sum(flag) from items;
select id, name, price, seen, made, hex(data), flag + 0, day from items where id = 2999;
show create table items;
