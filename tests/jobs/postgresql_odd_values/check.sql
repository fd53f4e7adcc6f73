select * from copy order by id;
select * from (select source::text from source except all select copy::text from copy) x;
select * from (select source::text from source except all select through::text from through) x;
