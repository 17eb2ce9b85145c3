ALTER TABLE t MODIFY a varchar(50), MODIFY n int, MODIFY e enum('p','q'), DROP KEY uk;
