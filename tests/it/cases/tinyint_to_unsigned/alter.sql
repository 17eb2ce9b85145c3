ALTER TABLE t MODIFY v tinyint unsigned;
