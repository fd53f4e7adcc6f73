create table orders (id bigint primary key, code text, name text, amount numeric(15,2), day date, at timestamp, paid boolean);
