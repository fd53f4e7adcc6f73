select column_name, data_type, numeric_precision, numeric_scale from information_schema.columns where table_name = 'orders_new' order by ordinal_position;
select * from orders_new order by id;
