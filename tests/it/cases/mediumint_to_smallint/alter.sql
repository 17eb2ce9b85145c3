ALTER TABLE t MODIFY v smallint;
