ALTER TABLE `datasets` ADD `quality` text;--> statement-breakpoint
ALTER TABLE `jobs` ADD `kind` text DEFAULT 'training' NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `validation_dataset_id` text;--> statement-breakpoint
ALTER TABLE `jobs` ADD `target_dataset_id` text;--> statement-breakpoint
ALTER TABLE `jobs` ADD `source_classifier_id` text;--> statement-breakpoint
ALTER TABLE `jobs` ADD `exclude` text;