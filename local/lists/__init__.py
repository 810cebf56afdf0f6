"""What a user writes: labels, trials, enrolment, speaker tables, lists of files."""
