attach 'copy.db' as copied;
select count(*), sum(id), sum(n), sum(d), count(b), min(at), max(at) from copied.copy;
select count(*) from (select * from source except select * from copied.copy);
select count(*) from (select * from copied.copy except select * from source);
