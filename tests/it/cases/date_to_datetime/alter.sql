ALTER TABLE t MODIFY v datetime;
