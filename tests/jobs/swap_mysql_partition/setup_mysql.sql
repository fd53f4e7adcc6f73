create table sales (id bigint, name varchar(10) not null, amount decimal(15,2) check (amount >= 0), ds date, kind varchar(5));
insert into sales select n, 'old', n, d, k from (select 1 n union select 2) a, (select date '2025-10-30' d union select date '2025-10-31') b, (select 'a' k union select 'b') c;
create table log (what text);
