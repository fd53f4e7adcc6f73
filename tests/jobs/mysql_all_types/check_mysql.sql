select count(*), sum(hex(concat_ws('|', s.b1+0, s.b12+0, s.b64+0, s.t, s.tu, s.s, s.su, s.m, s.mu, s.i, s.iu, s.l, s.lu, s.f*1e45, s.d, s.n, s.n2, s.y, s.da, s.ti, s.ti6, s.dt, s.dt6, s.ts, s.ts6, s.c, s.v, s.tt, s.tx, s.lt, s.l1, s.ci, s.bi, s.vb, s.bl, s.lb, s.e, s.st, s.j, hex(s.g)))
  = hex(concat_ws('|', t.b1+0, t.b12+0, t.b64+0, t.t, t.tu, t.s, t.su, t.m, t.mu, t.i, t.iu, t.l, t.lu, t.f*1e45, t.d, t.n, t.n2, t.y, t.da, t.ti, t.ti6, t.dt, t.dt6, t.ts, t.ts6, t.c, t.v, t.tt, t.tx, t.lt, t.l1, t.ci, t.bi, t.vb, t.bl, t.lb, t.e, t.st, t.j, hex(t.g)))) as same
from source s join target t using (id);
select id, t, lu, d, n, y, da, ti, ti6, dt6, ts6, v, hex(l1), ci, hex(bl), e, st, j from target order by id;
