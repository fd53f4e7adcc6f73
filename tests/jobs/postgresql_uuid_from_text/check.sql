select * from copy order by name;
