select * from kinds order by id;
