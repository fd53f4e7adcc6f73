select count(*), sum(id), count(distinct name) from made;
