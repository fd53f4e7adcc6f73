select count(*), count(name), count(note), sum(id) from parts;
select * from parts where id in (1, 301, 501) order by id;
