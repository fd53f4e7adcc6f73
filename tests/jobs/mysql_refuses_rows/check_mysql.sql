select count(*), sum(id), sum(n) from guarded;
