select sql from sqlite_schema where name = 'made';
select * from made order by id;
select typeof(u), typeof(r), typeof(d), typeof(big), typeof(flag), typeof(day), typeof(t), typeof(b), count(*) from made group by 1, 2, 3, 4, 5, 6, 7, 8 order by 9, 2, 3, 8;
select * from after;
select name from sqlite_schema where name like '\_airlock%' escape '\' order by 1;
