create table ods_orders (id bigint, customer_id bigint, amount numeric(12,2), status text, updated_at timestamp, ds text);
insert into ods_orders values (1, 1, 1, 'stale', '2025-10-31', '20251031'), (2, 2, 2, 'other day', '2025-10-30', '20251030');
