"""One map over recordings and utterances: in this process, over several, over machines."""
