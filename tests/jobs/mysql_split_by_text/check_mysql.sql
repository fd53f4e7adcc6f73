select count(*) from source s join target t on s.id = t.id and binary s.name = binary t.name and s.part <=> t.part;
