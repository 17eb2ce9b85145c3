ALTER TABLE t MODIFY v mediumint unsigned;
