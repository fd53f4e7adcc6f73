create table guarded (id integer primary key, n integer check (n >= 0), name varchar(7) not null on conflict ignore unique on conflict replace, check (name <> 'n3'));
insert into guarded values (7, 7, 'there');
