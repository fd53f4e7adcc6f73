create table customers (id bigint primary key, name varchar(10) not null, amount decimal(15,2) check (amount >= 0), number int auto_increment unique);
insert into customers (id, name, amount) values (2, 'old', 1), (9, 'old', 9);
create view names as select id, name from customers;
create table log (what text);
create trigger counted after insert on customers for each row insert into log values ('row');
