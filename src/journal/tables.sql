-- The sidecar of rsc: the journal of all changes on this server. Created on first use, replicated like any data.
-- Statements are separated by a line that holds only ';;'.
CREATE DATABASE IF NOT EXISTS `_rsc` DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
;;
CREATE TABLE IF NOT EXISTS `_rsc`.`meta` (
  `version` INT UNSIGNED NOT NULL PRIMARY KEY COMMENT 'version of the sidecar tables'
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='rsc: version of this schema'
;;
CREATE TABLE IF NOT EXISTS `_rsc`.`change` (
  `id` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `schema_name` VARCHAR(64) NOT NULL,
  `table_name` VARCHAR(64) NOT NULL,
  `active_table` VARCHAR(129) NULL COMMENT 'schema.table while the change is alive: one change a table',
  `statement` LONGTEXT NOT NULL COMMENT 'as the operator typed it',
  `options` JSON NOT NULL,
  `state` VARCHAR(20) NOT NULL,
  `paused` BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'the operator wants it to stand still',
  `reason` LONGTEXT NULL COMMENT 'why it failed, or why the stream is blocked',
  `old_create` LONGTEXT NOT NULL COMMENT 'SHOW CREATE TABLE before the change; empty where there was no table',
  `new_create` LONGTEXT NULL COMMENT 'SHOW CREATE TABLE of the shadow',
  `rows_estimate` BIGINT UNSIGNED NOT NULL DEFAULT 0,
  `serving` VARCHAR(3) NOT NULL DEFAULT 'old' COMMENT 'which schema served after the last swap: old or new',
  `freeze_ms` DOUBLE NULL COMMENT 'of the last swap; NULL when its answer was lost',
  `started_at` TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  `updated_at` TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  `window_ends_at` TIMESTAMP(3) NULL COMMENT 'until when a revert is possible',
  UNIQUE KEY `one_change_a_table` (`active_table`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='rsc: schema changes'
;;
CREATE TABLE IF NOT EXISTS `_rsc`.`owner` (
  `change_id` BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  `epoch` BIGINT UNSIGNED NOT NULL COMMENT 'the epoch in stream_<id> that the owner was given',
  `who` VARCHAR(255) NOT NULL COMMENT 'host and process, for people',
  `instance` CHAR(36) NOT NULL COMMENT 'unique to the process',
  `heartbeat` TIMESTAMP(6) NOT NULL COMMENT 'by the clock of the server'
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='rsc: the process that drives a change'
;;
CREATE TABLE IF NOT EXISTS `_rsc`.`batch` (
  `change_id` BIGINT UNSIGNED NOT NULL,
  `seq` BIGINT UNSIGNED NOT NULL COMMENT 'its place: in the order of keys, with room below for the pieces of a batch that failed',
  `lo` JSON NULL COMMENT 'the last key below it, as SQL literals; NULL: from the beginning of the table',
  `hi` JSON NULL COMMENT 'the last key copied; NULL: to the end of the table',
  `rows_copied` BIGINT UNSIGNED NOT NULL,
  `elapsed_ms` DOUBLE NOT NULL,
  PRIMARY KEY (`change_id`, `seq`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='rsc: copied batches, each written in the transaction of its rows'
;;
CREATE TABLE IF NOT EXISTS `_rsc`.`request` (
  `id` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `change_id` BIGINT UNSIGNED NOT NULL,
  `verb` VARCHAR(64) NOT NULL,
  `argument` LONGTEXT NULL COMMENT 'what the verb is about: the settings of `set`, as JSON',
  `asked_by` VARCHAR(255) NOT NULL,
  `asked_at` TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  `granted` BOOLEAN NULL COMMENT 'NULL: not answered yet',
  `answer` LONGTEXT NULL COMMENT 'why it was refused',
  `advice` LONGTEXT NULL COMMENT 'what to do instead',
  KEY `open_requests` (`change_id`, `granted`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='rsc: what operators ask of the owner of a change'
;;
CREATE TABLE IF NOT EXISTS `_rsc`.`event` (
  `id` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `change_id` BIGINT UNSIGNED NOT NULL,
  `at` TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  `kind` VARCHAR(40) NOT NULL,
  `detail` JSON NOT NULL,
  KEY `by_change` (`change_id`, `id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='rsc: what happened, and when'
;;
CREATE TABLE IF NOT EXISTS `_rsc`.`verify` (
  `id` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `change_id` BIGINT UNSIGNED NOT NULL,
  `request_id` BIGINT UNSIGNED NULL COMMENT 'the request that asked for it',
  `serving` VARCHAR(3) NOT NULL COMMENT 'which schema served: old or new',
  `repair` BOOLEAN NOT NULL COMMENT 'rows that differed were written again',
  `background` BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'nobody asked for it; it is made a little at a time while the stream is kept',
  `marks` BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'goes up where a place behind all that was read is needed in the binlog',
  `outcome` VARCHAR(20) NULL COMMENT 'equal, differs or broken_off; NULL: it runs, or its process was lost',
  `rows_compared` BIGINT UNSIGNED NOT NULL DEFAULT 0,
  `mismatches` BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'rows that are not what they should be',
  `mended` BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'rows that are again',
  `unsettled` BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'rows that were written each time that they were looked at',
  `findings` JSON NULL COMMENT 'the rows, with key and columns',
  `excluded` JSON NULL COMMENT 'columns that were not compared',
  `native` JSON NULL COMMENT 'what a native ALTER made of a sample of rows',
  `seconds` DOUBLE NOT NULL DEFAULT 0,
  `position` LONGTEXT NULL COMMENT 'GTID set at which it ended',
  `reached` JSON NULL COMMENT 'how far it had come without a finding, for the one that goes on with it',
  `began_at` TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  `ended_at` TIMESTAMP(3) NULL,
  KEY `by_change` (`change_id`, `id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='rsc: verifications of changes, and what they found'
;;
CREATE TABLE IF NOT EXISTS `_rsc`.`sample` (
  `change_id` BIGINT UNSIGNED NOT NULL,
  `beat` BIGINT UNSIGNED NOT NULL COMMENT 'its place: one a second while somebody drives the change',
  `at` TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  `activity` VARCHAR(20) NOT NULL,
  `done` BIGINT UNSIGNED NOT NULL COMMENT 'rows copied or compared, or thousandths of an index build',
  `goal` BIGINT UNSIGNED NOT NULL,
  `applied` BIGINT UNSIGNED NOT NULL COMMENT 'row changes by the stream, since its owner took the change up',
  `lag_ms` BIGINT UNSIGNED NULL COMMENT 'how old what the other table shows is',
  `throttled` VARCHAR(500) NULL COMMENT 'why the copy waited',
  PRIMARY KEY (`change_id`, `beat`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='rsc: what changes were doing, for the plots that people look at'
;;
CREATE TABLE IF NOT EXISTS `_rsc`.`heartbeat` (
  `source` CHAR(36) NOT NULL PRIMARY KEY COMMENT 'server_uuid of the server that it was written on',
  `beat` BIGINT UNSIGNED NOT NULL COMMENT 'when, by the clock of that server, in microseconds since 1970',
  `at` TIMESTAMP(6) NOT NULL COMMENT 'the same, for people'
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='rsc: how far replicas are behind, while a change is made'
;;
CREATE TABLE IF NOT EXISTS `_rsc`.`throttle` (
  `change_id` BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  `throttled` BOOLEAN NOT NULL,
  `reasons` JSON NOT NULL COMMENT 'a sentence each; empty when nothing throttles',
  `since` TIMESTAMP(3) NULL COMMENT 'when it began to be throttled',
  `lag_ms` DOUBLE NULL COMMENT 'of the replica that is furthest behind; NULL: none is looked at, or none is known',
  `read_at` TIMESTAMP(3) NOT NULL COMMENT 'when the signals were last read; what is older than some seconds says nothing'
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='rsc: whether a change is throttled, and why, while it is driven'
