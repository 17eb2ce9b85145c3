ALTER TABLE t MODIFY a varchar(20) COMMENT 'a; comment, with \'signs\'';
