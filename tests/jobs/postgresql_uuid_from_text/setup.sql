create table copy (id uuid, name text);
