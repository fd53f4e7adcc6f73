create table source (id bigint primary key, name text);
insert into source select n, 'name ' || n from generate_series(1, 1000) n;
