create table orders (id bigint primary key, code text, name text, amount decimal(15,2), day date, at datetime(3), paid bit(1));
