"""The interviewer: what an interview is, how it moves, what it says, how answers are judged."""
