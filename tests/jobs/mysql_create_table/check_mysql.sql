select column_name, column_type, is_nullable, column_key, (select count(*) from information_schema.check_constraints k where k.constraint_schema = c.table_schema and k.table_name = c.table_name and k.constraint_name = c.column_name) as checks
from information_schema.columns c where table_schema = database() and table_name = 'made' order by ordinal_position;
select code, id, b12 + 0, m, n, y, ti, dt, ts, c, v, lat, length(tx), hex(bi), hex(vb), hex(bl), e, st, j, u, i4, i6, st_astext(g), `id + 1` from made order by id;
select count(*) from source join made using (code, id, tx, j, e, st, u, i4, i6, g);
