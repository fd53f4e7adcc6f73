select id, code, name, amount, day, at, paid + 0 from orders order by id;
