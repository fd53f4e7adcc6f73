select count(*) from copy;
select count(*) from through;
select 'differs: ' || c.id || ' ' || key || ' ' || coalesce(value, 'NULL') || ' became ' || coalesce(got, 'NULL') from (select s.id, l.key, l.value, (row_to_json(c)::jsonb ->> l.key) as got from source s join copy c using (id), jsonb_each_text(row_to_json(s)::jsonb) l) c where value is distinct from got;
select count(*) from (select source::text from source except all select copy::text from copy) x;
select count(*) from (select source::text from source except all select through::text from through) x;
