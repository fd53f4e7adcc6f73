create table guarded (id bigint primary key, n bigint check (n >= 0));
