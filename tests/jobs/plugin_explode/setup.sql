create table post_tag (post bigint, tag bigint check (tag is distinct from 13), note text, place bigint, primary key (post, place));
