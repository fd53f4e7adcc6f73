select count(*), count(distinct id), min(updated_at), max(updated_at), sum(amount), ds from ods_orders group by ds order by ds;
