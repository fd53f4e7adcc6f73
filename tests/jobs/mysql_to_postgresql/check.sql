select count(*), count(distinct id), sum(price), min(seen), max(made at time zone 'UTC'), sum(length(data)) from items;
select * from items where id = 2999;
