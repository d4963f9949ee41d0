ALTER TABLE `work` ADD `leased_at` integer;--> statement-breakpoint
CREATE INDEX `work_turn` ON `work` (`tenant_id`,`kind`,`leased_at`);