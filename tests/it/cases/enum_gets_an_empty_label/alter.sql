ALTER TABLE t MODIFY e enum('a','');
