ALTER TABLE t MODIFY v mediumtext;
