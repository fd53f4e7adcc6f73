select count(*), count(distinct post), sum(tag), sum(place), count(*) filter (where tag is null) from post_tag;
select * from post_tag where post between 1 and 9 order by post, place;
