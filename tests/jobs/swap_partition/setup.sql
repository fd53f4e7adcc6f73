create table sales (id bigint, name varchar(10) not null, amount numeric(15,2) check (amount >= 0), ds date, kind text) partition by list (ds);
create table sales_31 partition of sales for values in ('2025-10-31');
create table sales_30 partition of sales for values in ('2025-10-30');
insert into sales select n, 'old', n, d, k from generate_series(1, 2) n, unnest('{2025-10-30,2025-10-31}'::date[]) d, unnest('{a,b}'::text[]) k;
create table log (what text);
