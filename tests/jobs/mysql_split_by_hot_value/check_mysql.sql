select count(*) from source s join target t on s.id = t.id and s.name = t.name and binary s.part <=> binary t.part;
