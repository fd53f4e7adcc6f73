select * from all_people order by ds, id;
select name from sqlite_schema order by name;
