select count(*), sum(id), sum(n) from guarded;
select * from guarded where id in (3, 7, 17, 250);
