select count(*), sum(id), sum(n) from guarded;
select count(*) from guarded where id in (17, 500, 501, 999);
