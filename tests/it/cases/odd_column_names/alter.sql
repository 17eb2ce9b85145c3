ALTER TABLE t RENAME COLUMN `select` TO `from`, ADD COLUMN `or``der` int DEFAULT 1, DROP COLUMN `ein Wort`;
