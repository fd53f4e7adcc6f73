select * from people_copy order by id;
