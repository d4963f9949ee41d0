ALTER TABLE `work` ADD `tidy_at` integer;--> statement-breakpoint
CREATE INDEX `work_tidy` ON `work` (`tidy_at`);